"""The page on which attention can be touched: its parts in JavaScript, and what makes one file of them."""
