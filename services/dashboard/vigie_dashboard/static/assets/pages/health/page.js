// Do things answer? All targets, or one.
import { html } from "../../core/ui.js";
import { route } from "../../core/router.js";
import { TargetPage } from "./detail.js";
import { TargetList } from "./list.js";

export default function Health() {
  const name = route.value.segments[1];
  return name === undefined ? html`<${TargetList} />` : html`<${TargetPage} key=${name} name=${name} />`;
}
