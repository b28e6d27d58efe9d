"""What a data set is made of: images with their geometry, cases, layouts, folds, and a synthetic cohort."""
