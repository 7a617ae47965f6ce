"""The reference pages, as far as the code knows them."""
