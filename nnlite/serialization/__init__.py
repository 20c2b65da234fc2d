"""Objects as plain data, and the names by which they are found."""
