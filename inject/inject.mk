# Texts that run in the target are part of the object file that includes them.
$(B)/inject/texts.o: $(wildcard inject/target_*.py)
