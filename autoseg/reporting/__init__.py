"""What is shown of a workspace: `report` writes the report; `figures` and `case_image` draw for other commands, too.

All other modules are parts of the report: `data` (what it is made from, gathered once), `paper_figures` and `tables`,
`sections` and `score_sections` (what stands on the page), `page` (how it becomes HTML), `viewer` (scans to leaf through),
`methods` (a paragraph for a paper); `attention` and `cohort` draw single figures; `canvas`:
what all drawings have in common.
"""
