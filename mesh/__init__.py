"""The only place where siblings meet: settings, composition root, the loop and its parts, one file each.

Law: a part here joins rooms through the domain's ports and owns no rule of its own; a rule belongs in governance,
an analysis in `analysis`, a meaning in `domain`.
"""
