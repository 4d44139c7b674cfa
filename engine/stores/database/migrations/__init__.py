"""How the schema came to be, step by step; `migrate` runs what is missing."""
