"""Episodes: one scenario, one seed, lived through by the product and by everybody it is compared with."""
