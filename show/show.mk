# The page is part of the object file that includes it.
$(B)/show/flame_page.o: show/flame_page.html
