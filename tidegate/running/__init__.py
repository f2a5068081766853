"""Steps at work in a process: loaded and checked, given resources, served, reloaded."""
