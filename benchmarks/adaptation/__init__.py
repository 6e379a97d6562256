"""Does adapting to a new scanner help, without a label of it? Fixed transforms stand for scanners."""
