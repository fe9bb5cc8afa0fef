// A classic script in the head, so that the chosen theme stands before the first paint.
try {
  const chosen = localStorage.getItem("rememberd.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // Storage is forbidden here: the theme is the system's.
}
