"""dealerkit: who a car dealership's customers are, and what to do next."""

__version__ = "0.1.0"
