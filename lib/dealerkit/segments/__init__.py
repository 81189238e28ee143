"""How the customers group: rule classes by thresholds (`rules`), natural groups where there are any (`clusters`), and
the tables and facts of the page (`views`)."""
