// The first script of the engine's page: before any other runs, its policy is narrowed to the one address that it was made for.
import { connectPolicy } from '../shared/address.js';
import { addressOfPage } from './page_address.js';

// Policies intersect: nothing that runs later can loosen this one.
const policy = document.createElement('meta');
policy.httpEquiv = 'Content-Security-Policy';
policy.content = connectPolicy(addressOfPage());
document.head.append(policy);
