"use strict";
// A page that nobody looks at asks for nothing, and one that is being used is not replaced.
document.addEventListener("htmx:beforeRequest", function (event) {
  var at = document.activeElement, chosen = document.getSelection();
  if (document.hidden || (at && /^(INPUT|SELECT|TEXTAREA)$/.test(at.tagName)) || (chosen && !chosen.isCollapsed))
    event.preventDefault();
});
// "/" goes to the first field, "n" and "p" turn pages.
document.addEventListener("keydown", function (event) {
  if (event.ctrlKey || event.altKey || event.metaKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName))
    return;
  var rel = { n: "next", p: "prev" }[event.key];
  var to = rel && document.querySelector("a[rel=" + rel + "]"), field = document.querySelector(".filters input");
  if (to)
    to.click();
  else if (event.key === "/" && field)
    field.focus();
  else
    return;
  event.preventDefault();
});
