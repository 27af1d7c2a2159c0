"""`polaris init`: from a model and a file of problems to a recipe."""
