"""Who acts: signed principals, roles, and the keys that sign them."""
