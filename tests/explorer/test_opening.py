"""The page opens in a browser and both its parts work; `make proof` looks at the rest."""

FRENCH = "(() => { const r = explorer.read('They arrived late.'); return r.textOf(r.greedy().tokens); })()"


def test_it_opens_and_works(look):
    """Both parts, in one go; who looks in less time looks here (fixture: no request, no complaint)."""
    one = look()
    one.page.locator('[data-cell="weights:0:1:2"]').hover()
    assert one.text("#hand-said") == "Second asks third: 0.0897 / 1.6537 = 0.0542"
    assert one.page.locator("#hand-tables .from").count() == 2
    one.page.locator("#causal").check()
    assert one.text('[data-cell="scores:0:0:1"]') == "−∞"
    one.page.locator("#text").fill("They arrived late.")
    one.page.locator("#text").press("Enter")
    found = one.page.evaluate(
        "(() => { const r = explorer.read('They arrived late.'); return r.textOf(r.greedy().tokens); })()"
    )
    assert one.text("#french") == found != ""
    assert one.text("#live-said").startswith(f"French: {found}")
