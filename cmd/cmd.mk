# Texts that run in the target are part of the object file that includes them.
$(B)/cmd/texts.o: $(wildcard cmd/target_*.py)
