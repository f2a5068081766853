"""amqtt under our rules: what it leaves open or does otherwise than we need is done here."""
