"""Built-in changes of sound, a file for each family; the registry finds them."""
