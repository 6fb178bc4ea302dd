"""/api/oncall: who is on call, and who is told when nobody acknowledges."""
