"""The scale of published models, on paper."""
