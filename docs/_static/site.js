/* What Furo leaves to do: code that scrolls sideways can be reached by keyboard, and each side bar has a name. */
document.addEventListener("DOMContentLoaded", () => {
  for (const code of document.querySelectorAll(".highlight pre, .formula, .table-wrapper")) {
    if (code.scrollWidth > code.clientWidth) code.tabIndex = 0;
  }
  document.querySelector(".sidebar-drawer")?.setAttribute("aria-label", "Site");
  document.querySelector(".toc-drawer")?.setAttribute("aria-label", "On this page");
});
