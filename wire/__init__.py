"""What travels between devices and the cloud: ids, topics, messages, units, codecs. Pure."""
