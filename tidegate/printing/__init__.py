"""PDFs: drawn by WeasyPrint in a process of their own, bounded in memory and time.

`process.py` is for who wants a PDF and loads no PDF library; `style.py` is for what draws one.
"""
