// Light, dark or as the system has it. A classic script in the head, so that the page is never shown in
// the wrong one first: at night a white flash hurts.
"use strict";

(() => {
  const themes = ["system", "light", "dark"];
  const root = document.documentElement;
  const stored = () => {
    try {
      return localStorage.getItem("haltline.theme");
    } catch {
      return null;
    }
  };
  const set = (theme) => {
    root.dataset.theme = themes.includes(theme) ? theme : "system";
  };
  set(stored());
  window.haltlineTheme = {
    get: () => root.dataset.theme,
    set(theme) {
      set(theme);
      try {
        localStorage.setItem("haltline.theme", root.dataset.theme);
      } catch {
        // Storage may be forbidden; the choice then lasts until the page is left.
      }
    },
  };
})();
