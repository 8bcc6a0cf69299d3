// The management page.

import "../../app/style.css";
import "./style.css";
import { render } from "preact";
import { App } from "./app.tsx";

const place = document.getElementById("panel");
if (place !== null) render(<App />, place);
