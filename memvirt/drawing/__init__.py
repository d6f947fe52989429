"""What figures are drawn with: the house's style, and the pictures that belong to a sweep, a study or an experiment."""
