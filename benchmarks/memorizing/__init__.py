"""What the experiments on memorizing share: labels, trainings that are watched, and what is measured of them."""
