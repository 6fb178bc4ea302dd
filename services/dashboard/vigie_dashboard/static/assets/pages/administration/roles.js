// What one is in a tenant, or of the platform: the fields of it in forms.
import { html } from "../../core/ui.js";
import { t } from "../../core/i18n.js";
import { Field } from "../../components/form.js";
import { lines } from "./data.js";

export const OF_TENANT = ["ADMIN", "USER", "READONLY"];
export const OF_PLATFORM = ["SUPERADMIN", "SUPPORT"];

/** @param {{roles: string[], value: string, onInput: (value: string) => void, error: string}} props */
export const Role = ({ roles, value, onInput, error }) => html`
  <${Field} label=${t("user.role")} value=${value} onInput=${onInput} options=${roles.map((one) => ({ value: one, label: t(`role.${one}`) }))} hint=${t(`role.${value}.hint`)} error=${error} />`;

/** Apps and sites, which users of the platform need not have. @param {{roles: string[], places: {apps: string, sites: string}, onInput: (value: any) => void, wrong: (field: string) => string}} props */
export const Places = ({ roles, places, onInput, wrong }) => roles !== OF_PLATFORM && html`
  <div class="fields">
    <${Field} label=${t("user.apps")} type="textarea" rows=${2} value=${places.apps} onInput=${(/** @type {string} */ apps) => onInput({ ...places, apps })} error=${wrong("apps")} hint=${t("user.places.hint")} />
    <${Field} label=${t("user.sites")} type="textarea" rows=${2} value=${places.sites} onInput=${(/** @type {string} */ sites) => onInput({ ...places, sites })} error=${wrong("sites")} />
  </div>`;

/** @param {string[]} roles @param {{apps: string, sites: string}} places */
export const listed = (roles, places) => (roles === OF_PLATFORM ? {} : { apps: lines(places.apps), sites: lines(places.sites) });
