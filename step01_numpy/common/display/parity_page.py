"""Write what a comparison found as one HTML file: the verdict, what is wrong, the table."""

from collections.abc import Sequence
from html import escape
from string import Template

from step01_numpy.common.display.tables import parity_table
from step01_numpy.common.parity.table import details, verdict
from step01_numpy.common.parity.verdict import Row

PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Parity: $verdict</title>
<style>
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 76rem; font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; }
.verdict { font-size: 1.1rem; border-left: 4px solid; padding-left: .75rem; }
.passed { border-color: #2e7d32; }
.failed { border-color: #b3541e; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .75rem; text-align: left; border-bottom: 1px solid #8886; }
tbody th { font-weight: 400; white-space: nowrap; }
thead th { vertical-align: bottom; }
</style>
</head>
<body>
<main>
<h1>Parity, in float64</h1>
<p class="verdict $status">$verdict</p>
$details
<p>The largest difference of each operation's result and of its gradients, for random inputs and random
upstream gradients. An exclamation mark follows what is out of tolerance, raised or missing.</p>
$table
</main>
</body>
</html>
""")


def parity_page(rows: Sequence[Row]) -> str:
    """Return the page; all text that a package brings in is escaped."""
    found = "\n".join(f"<li>{escape(line)}</li>" for line in details(rows))
    return PAGE.substitute(
        verdict=escape(verdict(rows)),
        status="passed" if rows and all(row.passed for row in rows) else "failed",
        details=f"<ul>\n{found}\n</ul>" if found else "",
        table=parity_table(rows),
    )
