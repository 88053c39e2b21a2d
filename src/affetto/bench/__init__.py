"""How fast this machine trains and predicts, beside what someone would write without affetto."""
