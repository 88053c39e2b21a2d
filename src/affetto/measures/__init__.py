"""Measures of predictions: one record each, with its title, its function and its range.

A new measure is a record in a module of its own in this package, or in another distribution that names it by an entry
point of the group `affetto.measures`. Tables, model cards, intervals and `metrics.json` take it from there; runs that
were made before it get it from their predictions.

    from affetto.measures.registry import MEASURES
    MEASURES["macro_f1"].of_predictions(probabilities, truth)
"""
