"""What is shown of a workspace: `report` writes the report; `figures` and `case_image` draw for other commands, too.

`verdict` judges what was trained in one sentence, which commands show as well. All other modules are parts of the report:

- `data` (what it is made from, gathered once) and `materials` (scans and label maps, read when they are first asked for);
- files for papers: `paper_figures` and `tables`; `attention` and `cohort` draw single figures; `canvas`: what all drawings
  have in common, and the only module that knows matplotlib;
- the page: `sections`, `score_sections` and `case_sections` (what stands on it), `figure_blocks` (its figures), `blocks`
  (what it is made of), `page` (how it becomes HTML), `methods` (a paragraph for a paper); `svg` and `plots` draw in its
  colours, `pictures` paints slices, `viewer` packs scans to leaf through;
- `palette`: colours by what they mean, in files and on the page.
"""
