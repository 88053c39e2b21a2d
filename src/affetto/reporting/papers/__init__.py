"""Papers whose tables and claims a report sets beside its results, one package each."""
