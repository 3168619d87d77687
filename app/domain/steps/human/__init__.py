"""Human task: a person is asked, and what they fill in feeds later steps."""
