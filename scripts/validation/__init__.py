"""Tables of the documentation that compare meanfield with references; ``make.py`` runs them."""
