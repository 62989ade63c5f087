"""Evaluation: scenarios, graders and public data sets, driven through the product's own code."""
