"""One module a family of operators; see case.py for what they register."""
