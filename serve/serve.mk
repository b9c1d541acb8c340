# htmx makes pages live. It comes from npm, in the version and with the hash that
# serve/htmx.lock says; without npm, or without a network, pages are served without it and
# work all the same.
$(B)/htmx.js: serve/fetch-htmx serve/htmx.lock
	@mkdir -p $(@D)
	$(call say,GET,$@)serve/fetch-htmx serve/htmx.lock $@

$(B)/serve/files.o: CPPFLAGS += -DHTMX='"$(B)/htmx.js"'
$(B)/serve/files.o: serve/style.css serve/page.js $(B)/htmx.js share/asyncmon/asyncmon-1.schema.json
