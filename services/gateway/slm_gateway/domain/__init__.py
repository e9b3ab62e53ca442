"""The gateway's rules: who owns which path, which headers pass, who may speak, how API descriptions are merged."""
