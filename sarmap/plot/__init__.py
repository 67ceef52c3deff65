"""Pictures for notebooks and papers: one function per thing one looks at."""
