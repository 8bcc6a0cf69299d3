// A button that shows the browser's statistics over the picture.

import { Statistics } from "./statistics.js";

const PERIOD_MS = 1000;

/** `button` shows and hides `list`; `report()` gives the statistics of the moment, or nothing; `none` is said then. */
export function showFigures({ button, list, report, none }) {
  let measuring;
  button.addEventListener("click", () => {
    const on = list.hidden;
    list.hidden = !on;
    button.setAttribute("aria-pressed", String(on));
    clearInterval(measuring);
    if (!on) return;
    const statistics = new Statistics();
    const measure = async () => {
      const now = await report();
      const rows = now === undefined ? [] : statistics.rows(now);
      const shown = rows.length > 0 ? rows : [["Statistics", none]];
      list.replaceChildren(...shown.flatMap(([name, value]) => [element("dt", name), element("dd", value)]));
    };
    measure();
    measuring = setInterval(measure, PERIOD_MS);
  });
}

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}
