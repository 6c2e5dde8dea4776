"""
What runs beside a submission, in a process without the reference.

The child has this folder last on its path and imports these modules by their bare names; the grader imports
`wire` as part of the package.
"""
