"""What a memory must survive, for `mome bench reliability`: kills, damage, random changes, readers beside a writer."""
