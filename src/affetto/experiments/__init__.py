"""Many runs: a grid file, the runs that it means, and their launching."""
