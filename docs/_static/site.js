/* What Furo leaves to do: code that scrolls sideways can be reached by keyboard, each side bar has a name,
   and a heading says how deep it is. */
document.addEventListener("DOMContentLoaded", () => {
  for (const code of document.querySelectorAll(".highlight pre, .formula, .picture, .matrices, .table-wrapper")) {
    if (code.scrollWidth > code.clientWidth) code.tabIndex = 0;
  }
  document.querySelector(".sidebar-drawer")?.setAttribute("aria-label", "Site");
  for (const caption of document.querySelectorAll('.caption[role="heading"]')) caption.setAttribute("aria-level", "2");
  document.querySelector(".toc-drawer")?.setAttribute("aria-label", "On this page");
});
