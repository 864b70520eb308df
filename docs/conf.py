"""How Sphinx makes a site of these pages: ``make docs``."""

project = "orchestrate-vit"
extensions = ["myst_nb"]
html_theme = "furo"
html_title = "orchestrate-vit"
html_show_copyright = False
myst_heading_anchors = 3
nb_execution_mode = "off"  # a test runs the notebook, and keeps what it printed
