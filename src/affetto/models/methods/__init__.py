"""Methods: one file each, with the record of a method and the code that adapts a backbone; `registry` finds them."""
