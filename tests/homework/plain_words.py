"""First lines of docstrings that are the formula itself, and what stands there in a starter without notes."""

WORDS = {
    "Turn scores into weights: exp(scores - max) / sum(exp(scores - max)).\n\n"
    "    The maximum changes nothing but keeps exp in range.\n": "Turn scores into weights.\n",
    "Differentiate `softmax`: d weights_j / d scores_i = weights_j (δ_ij - weights_i), hence what is "
    "returned.": ("Differentiate `softmax`: from the gradient of the weights to that of the scores."),
    "Return log Σ exp(scores) along `axis`: the number that normalises a row, in nats.": (
        "Return the logarithm of what normalises a row in `softmax`, in nats."
    ),
    "Scaled dot-product attention, softmax(q kᵀ / √D) v, and its gradients (Vaswani et al. 2017).": (
        "Scaled dot-product attention and its gradients (Vaswani et al. 2017)."
    ),
    "Scaled dot-product attention, softmax(q kᵀ / √D) v (Vaswani et al. 2017).": (
        "Scaled dot-product attention (Vaswani et al. 2017)."
    ),
    "Return softmax(q kᵀ / √D) v, and its weights: what `scaled_dot_product_attention` is without options.": (
        "Return what each query gets of the values, and by which weights: attention without options."
    ),
    "Return the mean of -Σ_v p_v log softmax(logits)_v over the rows, in nats per token.": (
        "Return the mean cross-entropy of the rows with the shares p that are aimed at, in nats per token."
    ),
}


def without_formulas(text: str) -> str:
    """Return a module's text with words in the place of these formulas."""
    for formula, words in WORDS.items():
        text = text.replace(formula, words)
    return text
